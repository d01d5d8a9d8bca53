# A stand-in of OpenWRT's SDK, for seeing that the feed's Makefile builds from its source and installs the same tree as the
# script: unpack, Build/Compile, Package/install. No toolchain, no dependencies, no packing.

INCLUDE_DIR := $(TOPDIR)
CP := cp -fpR
INSTALL_DIR := install -d -m0755
INSTALL_DATA := install -m0644
INSTALL_BIN := install -m0755
