#include "disconnect_watch.h"

#include <poll.h>

#include "sockets.h"

namespace entremise {
namespace {

// Whether the socket has failed. Unlike SO_ERROR this leaves the error for Node's own read to find.
bool HasError(int fd) {
  pollfd query = {fd, 0, 0};
  return poll(&query, 1, 0) == 1 && (query.revents & POLLERR) != 0;
}

}  // namespace

int DisconnectWatch::Start(uv_loop_t* loop, int fd, Callback callback, DisconnectWatch** out) {
  Fd dup;
  const int error = Duplicate(fd, &dup);
  if (error != 0) return error;
  auto* watch = new DisconnectWatch(std::move(dup), std::move(callback));
  const int refused = uv_poll_init(loop, &watch->poll_, watch->fd());
  if (refused != 0) {
    // The handle was not registered with the loop, so there is nothing to close but the dup.
    delete watch;
    return -refused;
  }
  watch->poll_.data = watch;
  uv_unref(reinterpret_cast<uv_handle_t*>(&watch->poll_));
  uv_poll_start(&watch->poll_, UV_DISCONNECT, OnPoll);
  *out = watch;
  return 0;
}

void DisconnectWatch::Close(std::function<void()> done) {
  done_ = std::move(done);
  uv_close(reinterpret_cast<uv_handle_t*>(&poll_), OnClosed);
  dup_.Close();
}

void DisconnectWatch::OnClosed(uv_handle_t* handle) {
  auto* watch = static_cast<DisconnectWatch*>(handle->data);
  const std::function<void()> done = std::move(watch->done_);
  delete watch;
  done();
}

void DisconnectWatch::OnPoll(uv_poll_t* poll, int /*status*/, int /*events*/) {
  static_cast<DisconnectWatch*>(poll->data)->See();
}

void DisconnectWatch::See() {
  if (HasError(fd())) {
    uv_poll_stop(&poll_);
    callback_(Seen::kReset);
  } else if (!fin_seen_) {
    fin_seen_ = true;
    // EPOLLRDHUP stays set after a FIN and would wake us for ever. Errors are always reported, so ask for
    // something that does not come by itself: a RST after the FIN still wakes us.
    uv_poll_start(&poll_, UV_PRIORITIZED, OnPoll);
    callback_(Seen::kFin);
  } else {
    // Both directions are shut (EPOLLHUP): nothing more to notice.
    uv_poll_stop(&poll_);
  }
}

}  // namespace entremise
