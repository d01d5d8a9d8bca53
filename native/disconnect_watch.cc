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
  const int refused = watch->StartPolling(loop, UV_DISCONNECT);
  if (refused == 0) *out = watch;
  return refused;
}

void DisconnectWatch::OnReady() {
  if (HasError(fd())) {
    StopPolling();
    callback_(Seen::kReset);
  } else if (!fin_seen_) {
    fin_seen_ = true;
    // EPOLLRDHUP stays set after a FIN and would wake us for ever. Errors are always reported, so ask for
    // something that does not come by itself: a RST after the FIN still wakes us.
    PollFor(UV_PRIORITIZED);
    callback_(Seen::kFin);
  } else {
    // Both directions are shut (EPOLLHUP): nothing more to notice.
    StopPolling();
  }
}

}  // namespace entremise
