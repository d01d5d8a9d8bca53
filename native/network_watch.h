// Notices that something of the machine's network has changed: interfaces, addresses, routes. Plain C++ on libuv: no N-API.
#pragma once

#include "fd_watch.h"

namespace entremise {

// The kernel tells of changes by netlink; which they are is not read, since whoever is told looks at everything anyway.
// Needs no privilege.
class NetworkWatch : public FdWatch {
 public:
  using Callback = std::function<void()>;

  // On success *out lives until Close() has called `done`. 0 or an errno.
  static int Start(uv_loop_t* loop, Callback callback, NetworkWatch** out);

 private:
  NetworkWatch(Fd socket, Callback callback) : FdWatch(std::move(socket)), callback_(std::move(callback)) {}
  void OnReady() override;
  // Throws away what has been told; true when there was anything.
  bool Drain();

  Callback callback_;
};

}  // namespace entremise
