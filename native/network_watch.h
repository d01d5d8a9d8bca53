// Notices that something of the machine's network has changed: interfaces, addresses, routes. Plain C++ on libuv: no N-API.
#pragma once

#include <uv.h>

#include <functional>

#include "fd.h"

namespace entremise {

// The kernel tells of changes by netlink; which they are is not read, since whoever is told looks at everything anyway.
// Needs no privilege. Does not keep the loop alive. One thread only: the loop's.
class NetworkWatch {
 public:
  using Callback = std::function<void()>;

  // On success *out lives until Close() has called `done`. 0 or an errno.
  static int Start(uv_loop_t* loop, Callback callback, NetworkWatch** out);

  int fd() const { return socket_.number(); }

  // Stops, closes the socket now, and deletes the object when libuv has let go of the handle; then calls `done`.
  void Close(std::function<void()> done);

 private:
  NetworkWatch(Fd socket, Callback callback) : socket_(std::move(socket)), callback_(std::move(callback)) {}
  static void OnPoll(uv_poll_t* poll, int status, int events);
  static void OnClosed(uv_handle_t* handle);
  // Throws away what has been told; true when there was anything.
  bool Drain();

  uv_poll_t poll_ = {};
  Fd socket_;
  Callback callback_;
  std::function<void()> done_;
};

}  // namespace entremise
