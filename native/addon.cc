// Registration: what the addon exports, and the data of the environment that loads it.
#include <napi.h>

#include "capture_wrap.h"
#include "instance.h"
#include "packet_wrap.h"
#include "relay_wrap.h"
#include "sockets_wrap.h"

namespace {

// Counted up with every change of what is exported, so that a stale build is told apart (src/native/addon.ts).
constexpr int kInterfaceVersion = 12;

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  entremise::Instance::Create(env);
  entremise::ExportSockets(env, exports);
  entremise::ExportRelays(env, exports);
  entremise::ExportCapture(env, exports);
  entremise::ExportPackets(env, exports);
  static_cast<void>(exports.Set("interfaceVersion", kInterfaceVersion));
  return exports;
}

}  // namespace

NODE_API_MODULE(entremise, Init)
