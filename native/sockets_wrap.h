// The N-API face of sockets.h and disconnect_watch.h: reads arguments, calls, answers. No logic.
#pragma once

#include <napi.h>

namespace entremise {

// Puts the socket functions into `exports`.
void ExportSockets(Napi::Env env, Napi::Object exports);

}  // namespace entremise
