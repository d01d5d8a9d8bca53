// Calls JavaScript from a callback that libuv made.
#pragma once

#include <napi.h>

#include <initializer_list>

namespace entremise {

// A throw has no JavaScript caller there: it becomes 'uncaughtException'. A worker that is being terminated makes no
// objects any more: then nobody is called.
inline void CallBack(napi_env env, napi_value function, std::initializer_list<napi_value> arguments) {
  napi_value receiver = nullptr;
  if (napi_create_object(env, &receiver) != napi_ok) return;
  const napi_status status =
      napi_make_callback(env, nullptr, receiver, function, arguments.size(), arguments.begin(), nullptr);
  if (status != napi_pending_exception) return;
  napi_value thrown = nullptr;
  if (napi_get_and_clear_last_exception(env, &thrown) == napi_ok) napi_fatal_exception(env, thrown);
}

}  // namespace entremise
