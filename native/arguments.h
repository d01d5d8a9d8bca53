// Reads the arguments of a call from JavaScript. Nothing of a wrong type, and no number that does not fit, gets past.
#pragma once

#include <napi.h>

#include <cstdint>
#include <string>

namespace entremise {

// Read all arguments, then ask `ok()`: when false a TypeError is pending in JavaScript.
class Arguments {
 public:
  explicit Arguments(const Napi::CallbackInfo& info) : info_(info) {}

  bool ok() const { return ok_; }

  uint32_t Number(size_t index, uint32_t max, const char* name) {
    const Napi::Value value = info_[index];
    const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
    // Also false for NaN.
    if (number >= 0 && number <= max && number == static_cast<uint32_t>(number)) {
      return static_cast<uint32_t>(number);
    }
    Refuse(name, "an integer from 0 to " + std::to_string(max));
    return 0;
  }
  uint32_t Unsigned(size_t index, const char* name) { return Number(index, UINT32_MAX, name); }
  int FdNumber(size_t index) { return static_cast<int>(Number(index, INT32_MAX, "fd")); }

  std::string Text(size_t index, const char* name) {
    if (info_[index].IsString()) return info_[index].As<Napi::String>().Utf8Value();
    Refuse(name, "a string");
    return "";
  }
  bool Flag(size_t index, const char* name) {
    if (info_[index].IsBoolean()) return info_[index].As<Napi::Boolean>().Value();
    Refuse(name, "a boolean");
    return false;
  }
  Napi::Function Function(size_t index, const char* name) {
    if (info_[index].IsFunction()) return info_[index].As<Napi::Function>();
    Refuse(name, "a function");
    return Napi::Function();
  }
  Napi::Uint8Array Bytes(size_t index, const char* name) {
    const Napi::Value value = info_[index];
    if (value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array) {
      return value.As<Napi::Uint8Array>();
    }
    Refuse(name, "a Uint8Array");
    return Napi::Uint8Array();
  }

 protected:
  void Refuse(const char* name, const std::string& wanted) {
    if (ok_) Napi::TypeError::New(info_.Env(), std::string(name) + " must be " + wanted).ThrowAsJavaScriptException();
    ok_ = false;
  }

 private:
  const Napi::CallbackInfo& info_;
  bool ok_ = true;
};

}  // namespace entremise
