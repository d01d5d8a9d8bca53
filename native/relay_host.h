// The relays of one environment, and how what they tell reaches its JavaScript: one wake-up for many upcalls.
#pragma once

#include <napi.h>
#include <uv.h>

#include <functional>
#include <map>
#include <memory>

#include "relay.h"

namespace entremise {

class RelayHost {
 public:
  // On success *out lives until Close() has called `done`. `callback` is given the bytes of upcalls (relay_upcalls.h).
  static int Start(napi_env env, Napi::Function callback, const RelayTimes& times, RelayHost** out);

  Relay& relay() { return *relay_; }
  // Joins the thread, closes the sockets, then lets go of the loop; nothing is told any more.
  void Close(std::function<void()> done);

 private:
  explicit RelayHost(napi_env env) : env_(env) {}
  static void OnWake(uv_async_t* wake);
  static void OnClosed(uv_handle_t* handle);

  napi_env env_;
  uv_async_t wake_ = {};
  Napi::FunctionReference callback_;
  std::unique_ptr<Relay> relay_;
  std::function<void()> done_;
};

class RelayTable {
 public:
  int Start(napi_env env, Napi::Function callback, const RelayTimes& times, uint32_t* id);
  // Null when it is not there, or closed.
  Relay* Find(uint32_t id);
  bool Close(uint32_t id);
  // At the end of the environment. `on_idle` is called whenever the last one is gone.
  void CloseAll(std::function<void()> on_idle);
  bool idle() const { return hosts_.empty() && closing_ == 0; }

 private:
  std::map<uint32_t, RelayHost*> hosts_;
  uint32_t next_id_ = 1;
  size_t closing_ = 0;
  std::function<void()> on_idle_;
};

}  // namespace entremise
