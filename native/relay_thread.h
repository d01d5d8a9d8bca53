// A thread with an epoll of its own, and a bounded queue of what it is asked to do. Knows nothing of what it carries.
#pragma once

#include <pthread.h>
#include <sys/epoll.h>

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "fd.h"

namespace entremise {

uint64_t MonotonicMs();

class RelayThread {
 public:
  // What runs on the thread. Everything but Run and RunAndWait is the thread's own.
  struct Work {
    virtual ~Work() = default;
    virtual void OnReady(uint64_t tag, uint32_t events) = 0;
    // After every turn. Answers how many ms until it wants the next one, -1: none.
    virtual int OnTurn(uint64_t now_ms) = 0;
  };

  RelayThread() = default;
  ~RelayThread() { Stop(); }
  RelayThread(const RelayThread&) = delete;
  RelayThread& operator=(const RelayThread&) = delete;

  // 0, or an errno.
  int Start(Work* work);
  // Returns when the thread is over. What was asked and has not run never does.
  void Stop();

  // Any thread. False when `bytes` more would be too many waiting: it is not run.
  template <typename F>
  bool Run(F work, size_t bytes = 0) {
    return Push(std::make_unique<Of<F>>(std::move(work)), bytes);
  }
  // Returns when it has run.
  template <typename F>
  void RunAndWait(F work) {
    std::mutex mutex;
    std::condition_variable ran;
    bool done = false;
    Run([&] {
      work();
      const std::lock_guard<std::mutex> lock(mutex);
      done = true;
      ran.notify_one();
    });
    std::unique_lock<std::mutex> lock(mutex);
    ran.wait(lock, [&] { return done; });
  }

  int Watch(int fd, uint64_t tag);
  void Unwatch(int fd);

 private:
  struct Command {
    virtual ~Command() = default;
    virtual void Run() = 0;
  };
  template <typename F>
  struct Of final : Command {
    explicit Of(F work) : work_(std::move(work)) {}
    void Run() override { work_(); }
    F work_;
  };

  bool Push(std::unique_ptr<Command> command, size_t bytes);
  static void* Enter(void* self);
  void Loop();
  void Wake();
  void RunCommands();

  Work* work_ = nullptr;
  Fd epoll_;
  Fd wake_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Command>> commands_;
  size_t waiting_bytes_ = 0;
  bool stopping_ = false;
  pthread_t thread_ = {};
  bool running_ = false;
};

}  // namespace entremise
