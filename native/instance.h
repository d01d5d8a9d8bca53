// What one environment (main thread or worker) owns. No statics: every worker that loads the addon has its own.
#pragma once

#include <napi.h>

#include <memory>
#include <string>
#include <unordered_map>

#include "capture_wrap.h"
#include "disconnect_watch.h"
#include "fd.h"
#include "fd_watch.h"
#include "network_watch.h"
#include "packet_watch.h"
#include "relay_host.h"

namespace entremise {

class Instance {
 public:
  static void Create(Napi::Env env);
  static Instance& Of(Napi::Env env) { return *env.GetInstanceData<Instance>(); }

  // Fds that Node has not taken. They are closed when the environment ends; Node itself does not do that in a worker.
  void Own(Fd fd) { owned_[fd.number()] = std::move(fd); }
  // The fd is now somebody else's. False when it was not ours.
  bool Release(int fd);
  bool Close(int fd) { return owned_.erase(fd) == 1; }

  // Calls `callback` with 'fin' and/or 'reset'. *watch is the fd that the watch holds, its name for CloseWatch.
  int Watch(Napi::Env env, int fd, Napi::Function callback, int* watch);
  // Calls `callback` without arguments when the machine's network has changed. As above.
  int WatchNetwork(Napi::Env env, Napi::Function callback, int* watch);
  // Calls `callback` with each packet that begins something (packet_watch.h), and its segment_bytes. As above.
  int WatchPackets(Napi::Env env, const std::string& interface, Napi::Function callback, int* watch);
  bool CloseWatch(int watch);

  RelayTable& relays() { return relays_; }
  // Ours no more, and not closed; none when it was not ours.
  Fd Give(int fd);
  CaptureTable& captures() { return captures_; }

 private:
  struct Watched {
    // Deletes itself after its Close().
    FdWatch* watch = nullptr;
    Napi::FunctionReference callback;
  };
  using WatchTable = std::unordered_map<int, std::unique_ptr<Watched>>;

  explicit Instance(napi_env env) : env_(env), captures_(env, [this] { FinishTeardownWhenIdle(); }) {}
  // Environment clean-up: closes everything, then tells Node when libuv has let go of the last handle.
  static void OnTeardown(napi_async_cleanup_hook_handle hook, void* instance);
  int Hold(Napi::Function callback, std::unique_ptr<Watched> watched, FdWatch* watch, int* name);
  void Tell(int watch, const char* kind);
  void TellPacket(int watch, const uint8_t* packet, size_t length, uint32_t segment_bytes);
  WatchTable::iterator Retire(WatchTable::iterator entry);
  void FinishTeardownWhenIdle();

  napi_env env_;
  // Set while the environment is being torn down: JavaScript must not be called any more.
  napi_async_cleanup_hook_handle teardown_ = nullptr;
  std::unordered_map<int, Fd> owned_;
  WatchTable watches_;
  RelayTable relays_;
  size_t closing_watches_ = 0;
  CaptureTable captures_;
};

}  // namespace entremise
