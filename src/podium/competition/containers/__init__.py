"""Files that contain many images: HDF5, TFRecords, BSON, and tables of pixels in Parquet and
JSON. To
`Archive`, each is a folder of image files next to a table of what else it contains.
"""
