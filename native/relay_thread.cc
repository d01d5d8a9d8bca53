#include "relay_thread.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>

#include <cerrno>

namespace entremise {
namespace {

constexpr uint64_t kWakeTag = UINT64_MAX;
constexpr size_t kMostWaitingBytes = 4 * 1024 * 1024;
constexpr int kEvents = 64;

}  // namespace

uint64_t MonotonicMs() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

int RelayThread::Start(Work* work) {
  work_ = work;
  epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
  wake_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll_.valid() || !wake_.valid()) return errno;
  if (const int error = Watch(wake_.number(), kWakeTag)) return error;
  // Signals are the main thread's.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t started;
  const int error = pthread_create(&started, nullptr, Enter, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error != 0) return error;
  thread_ = started;
  running_ = true;
  return 0;
}

void* RelayThread::Enter(void* self) {
  pthread_setname_np(pthread_self(), "relay");
  static_cast<RelayThread*>(self)->Loop();
  return nullptr;
}

void RelayThread::Stop() {
  if (!running_) return;
  running_ = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  Wake();
  pthread_join(thread_, nullptr);
  commands_.clear();
}

int RelayThread::Watch(int fd, uint64_t tag) {
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = tag;
  return epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : errno;
}

// Before the fd is closed: a duplicate elsewhere would keep it in the epoll.
void RelayThread::Unwatch(int fd) { epoll_ctl(epoll_.number(), EPOLL_CTL_DEL, fd, nullptr); }

void RelayThread::Wake() {
  const uint64_t one = 1;
  // It fails only when it is about to wake anyway.
  static_cast<void>(!write(wake_.number(), &one, sizeof(one)));
}

bool RelayThread::Push(std::unique_ptr<Command> command, size_t bytes) {
  bool first = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (bytes > 0 && waiting_bytes_ + bytes > kMostWaitingBytes) return false;
    waiting_bytes_ += bytes;
    first = commands_.empty();
    commands_.push_back(std::move(command));
  }
  if (first) Wake();
  return true;
}

void RelayThread::RunCommands() {
  std::vector<std::unique_ptr<Command>> due;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    due.swap(commands_);
    waiting_bytes_ = 0;
  }
  for (const auto& command : due) command->Run();
}

void RelayThread::Loop() {
  epoll_event events[kEvents];
  int timeout_ms = -1;
  for (;;) {
    const int count = epoll_wait(epoll_.number(), events, kEvents, timeout_ms);
    for (int index = 0; index < count; index++) {
      if (events[index].data.u64 != kWakeTag) {
        work_->OnReady(events[index].data.u64, events[index].events);
        continue;
      }
      uint64_t asked;
      static_cast<void>(!read(wake_.number(), &asked, sizeof(asked)));
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (stopping_) return;
      }
      RunCommands();
    }
    timeout_ms = work_->OnTurn(MonotonicMs());
  }
}

}  // namespace entremise
