"""Image formats that know where an image lies: DICOM, NIfTI, TIFF; and plain pictures."""
