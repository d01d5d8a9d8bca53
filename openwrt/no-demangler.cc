// libc++abi's handler of uncaught exceptions shows their types' names readably, for which it brings 100 KiB of demangler
// along. The addon throws none: this empty one takes its place. Only where libc++ is linked in (scripts/openwrt/addon.mjs).
extern "C" char* __cxa_demangle(const char*, char*, unsigned long*, int* status) {
  if (status != nullptr) *status = -1;
  return nullptr;
}
