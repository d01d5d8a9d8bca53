// Notices the peer's FIN and RST of a TCP socket that nobody reads. Plain C++ on libuv: no N-API.
#pragma once

#include <uv.h>

#include <functional>

#include "fd.h"

namespace entremise {

// Works on its own dup of the socket's fd, because Node's handle already polls that fd and epoll takes
// an fd once. The dup has a price: as long as it is open, the connection is not closed by Node's close()
// (no RST of SO_LINGER 0, no last FIN). Close() therefore closes it at once, not on the next turn.
//
// Does not keep the loop alive. One thread only: the loop's.
class DisconnectWatch {
 public:
  enum class Seen { kFin, kReset };
  // Called at most once with each, kFin first; neither after Close().
  using Callback = std::function<void(Seen)>;

  // On success *out lives until Close() has called `done`.
  static int Start(uv_loop_t* loop, int fd, Callback callback, DisconnectWatch** out);

  // The dup. Bytes that the kernel still has can be read from it after Node has closed its own fd.
  int fd() const { return dup_.number(); }

  // Stops, closes the dup now, and deletes the object when libuv has let go of the handle; then calls `done`.
  void Close(std::function<void()> done);

 private:
  DisconnectWatch(Fd dup, Callback callback) : dup_(std::move(dup)), callback_(std::move(callback)) {}
  static void OnPoll(uv_poll_t* poll, int status, int events);
  static void OnClosed(uv_handle_t* handle);
  void See();

  uv_poll_t poll_ = {};
  Fd dup_;
  Callback callback_;
  std::function<void()> done_;
  bool fin_seen_ = false;
};

}  // namespace entremise
