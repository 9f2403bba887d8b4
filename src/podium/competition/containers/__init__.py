"""Container files of many images: HDF5, TFRecords, BSON, tables of pixels in Parquet and JSON.

`Archive` shows each as a folder of image files next to a table of its other values.
"""
