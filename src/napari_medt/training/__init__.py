"""From folders of images and labels to a measured model the plugin can open."""
