#include "fd_watch.h"

namespace entremise {

int FdWatch::StartPolling(uv_loop_t* loop, int events) {
  const int refused = uv_poll_init(loop, &poll_, fd());
  if (refused != 0) {
    // The handle was not registered with the loop, so there is nothing to close but the fd.
    delete this;
    return -refused;
  }
  poll_.data = this;
  uv_unref(reinterpret_cast<uv_handle_t*>(&poll_));
  PollFor(events);
  return 0;
}

void FdWatch::Close(std::function<void()> done) {
  done_ = std::move(done);
  uv_close(reinterpret_cast<uv_handle_t*>(&poll_), OnClosed);
  fd_.Close();
}

void FdWatch::OnClosed(uv_handle_t* handle) {
  auto* watch = static_cast<FdWatch*>(handle->data);
  const std::function<void()> done = std::move(watch->done_);
  delete watch;
  done();
}

void FdWatch::OnPoll(uv_poll_t* poll, int /*status*/, int /*events*/) {
  static_cast<FdWatch*>(poll->data)->OnReady();
}

}  // namespace entremise
