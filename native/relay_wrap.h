// The face of the relays: src/native/relay-addon.ts has the types.
#pragma once

#include <napi.h>

namespace entremise {

void ExportRelays(Napi::Env env, Napi::Object exports);

}  // namespace entremise
