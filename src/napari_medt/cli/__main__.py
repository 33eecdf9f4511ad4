"""``python -m napari_medt.cli``, the same as ``napari-medt``."""

import sys

from napari_medt.cli import main

if __name__ == "__main__":
    sys.exit(main())
