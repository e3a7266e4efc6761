"""message/html/css"""
