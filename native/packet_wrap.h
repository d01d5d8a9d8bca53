// The N-API face of packet_watch.h.
#pragma once

#include <napi.h>

namespace entremise {

// Puts the functions into `exports`.
void ExportPackets(Napi::Env env, Napi::Object exports);

}  // namespace entremise
