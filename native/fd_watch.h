// An fd that an environment's loop polls: what the watches of one kind of news have in common. Plain C++ on libuv: no N-API.
#pragma once

#include <uv.h>

#include <functional>
#include <utility>

#include "fd.h"

namespace entremise {

// Owns the fd. Does not keep the loop alive. One thread only: the loop's.
class FdWatch {
 public:
  FdWatch(const FdWatch&) = delete;
  FdWatch& operator=(const FdWatch&) = delete;

  int fd() const { return fd_.number(); }

  // Stops, closes the fd now, and deletes the object when libuv has let go of the handle; then calls `done`.
  void Close(std::function<void()> done);

 protected:
  explicit FdWatch(Fd fd) : fd_(std::move(fd)) {}
  virtual ~FdWatch() = default;

  // Polls for `events` of libuv from now on. Where libuv refuses, the object is deleted. 0 or an errno.
  int StartPolling(uv_loop_t* loop, int events);
  // From now on for these instead. Errors are always reported.
  void PollFor(int events) { uv_poll_start(&poll_, events, OnPoll); }
  void StopPolling() { uv_poll_stop(&poll_); }

 private:
  static void OnPoll(uv_poll_t* poll, int status, int events);
  static void OnClosed(uv_handle_t* handle);
  virtual void OnReady() = 0;

  uv_poll_t poll_ = {};
  Fd fd_;
  std::function<void()> done_;
};

}  // namespace entremise
