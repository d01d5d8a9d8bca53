# A stand-in: see rules.mk.

PKG_BUILD_DIR := $(BUILD_DIR)/$(PKG_NAME)-$(PKG_VERSION)

define BuildPackage
all:
	tar -xzf $(DL_DIR)/$(PKG_SOURCE) -C $(BUILD_DIR)
	$(call Build/Compile)
	$(INSTALL_DIR) $(DEST)
	$(call Package/$(1)/install,$(DEST))
endef
