// Notices the peer's FIN and RST of a TCP socket that nobody reads. Plain C++ on libuv: no N-API.
#pragma once

#include "fd_watch.h"

namespace entremise {

// Works on its own dup of the socket's fd, because Node's handle already polls that fd and epoll takes
// an fd once. The dup has a price: as long as it is open, the connection is not closed by Node's close()
// (no RST of SO_LINGER 0, no last FIN). Close() therefore closes it at once, not on the next turn.
// Bytes that the kernel still has can be read from fd() after Node has closed its own.
class DisconnectWatch : public FdWatch {
 public:
  enum class Seen { kFin, kReset };
  // Called at most once with each, kFin first; neither after Close().
  using Callback = std::function<void(Seen)>;

  // On success *out lives until Close() has called `done`.
  static int Start(uv_loop_t* loop, int fd, Callback callback, DisconnectWatch** out);

 private:
  DisconnectWatch(Fd dup, Callback callback) : FdWatch(std::move(dup)), callback_(std::move(callback)) {}
  void OnReady() override;

  Callback callback_;
  bool fin_seen_ = false;
};

}  // namespace entremise
