"""Raw material, tables and folders of images, and how it becomes shards."""
