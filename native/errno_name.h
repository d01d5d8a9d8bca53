// How the face answers what the kernel refused: the errno's name.
#pragma once

#include <napi.h>
#include <uv.h>

namespace entremise {

inline Napi::Value ErrnoName(Napi::Env env, int error) {
  char name[64] = {};
  uv_err_name_r(-error, name, sizeof(name));
  return Napi::String::New(env, name);
}

inline Napi::Value Done(Napi::Env env, int error) { return error == 0 ? env.Undefined() : ErrnoName(env, error); }

}  // namespace entremise
