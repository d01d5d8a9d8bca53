// Calls JavaScript from a callback that libuv made.
#pragma once

#include <napi.h>

namespace entremise {

// A throw has no JavaScript caller there: it becomes 'uncaughtException'.
inline void CallBack(napi_env env, napi_value function, napi_value argument) {
  napi_value receiver = Napi::Object::New(env);
  if (napi_make_callback(env, nullptr, receiver, function, 1, &argument, nullptr) != napi_pending_exception) return;
  napi_value thrown = nullptr;
  if (napi_get_and_clear_last_exception(env, &thrown) == napi_ok) napi_fatal_exception(env, thrown);
}

}  // namespace entremise
