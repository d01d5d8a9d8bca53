# The addon for a router: built by the SDK's compiler, or by one that needs no SDK (scripts/openwrt/addon.mjs).
# Sources and defines stand in binding.gyp alone.
#   CXX, CPPFLAGS, CXXFLAGS, LDFLAGS   of the target
#   INCLUDES                           folders of node_api.h, napi.h and uv.h
#   EXTRA                              more sources
#   OUT                                the file to make

SOURCES := $(shell sed -n 's/^ *"\(native\/[^"]*\.cc\)",\{0,1\}$$/\1/p' binding.gyp)
DEFINES := $(addprefix -D,$(shell sed -n '/"defines"/,/]/s/^ *"\([A-Z0-9_=]*\)",\{0,1\}$$/\1/p' binding.gyp))
ADDON_FLAGS := -std=c++17 -fPIC -fno-exceptions -fno-rtti -fvisibility=hidden -fvisibility-inlines-hidden \
	-ffunction-sections -fdata-sections -DBUILDING_NODE_EXTENSION -DNODE_GYP_MODULE_NAME=entremise
SOURCES += $(EXTRA)
OUT ?= entremise.node
EXPORTS := $(dir $(lastword $(MAKEFILE_LIST)))exports.map

all: $(OUT)

# Symbols of Node, libuv and OpenSSL are Node's; they are found when it loads the addon.
$(OUT): $(SOURCES) $(wildcard native/*.h) binding.gyp $(EXPORTS)
	$(CXX) $(CPPFLAGS) $(CXXFLAGS) $(ADDON_FLAGS) $(DEFINES) $(addprefix -I,$(INCLUDES)) $(SOURCES) \
		-shared -Wl,--version-script=$(EXPORTS) -Wl,--gc-sections -Wl,-s $(LDFLAGS) -o $@

.PHONY: all
