// Makes TCP connections, or takes them, as fast as a bench of what watches them needs.
//
//   connect-storm listen ADDRESS NUMBER                           takes connections and drops them
//   connect-storm connect ADDRESS NUMBER RATE SECONDS THREADS     makes that many a second, each ended by a RST at once
//
// A connection that ends by RST (SO_LINGER 0) leaves no TIME_WAIT: local numbers do not run out.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kListeners = 2;

sockaddr_in Parse(const char* address, const char* number) {
  sockaddr_in parsed = {};
  parsed.sin_family = AF_INET;
  parsed.sin_port = htons(static_cast<uint16_t>(atoi(number)));
  if (inet_pton(AF_INET, address, &parsed.sin_addr) == 1) return parsed;
  fprintf(stderr, "no IPv4 address: %s\n", address);
  exit(2);
}

int Listen(const sockaddr_in& at) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd, reinterpret_cast<const sockaddr*>(&at), sizeof(at)) != 0 || listen(fd, 4096) != 0) {
    perror("listen");
    return 1;
  }
  std::vector<std::thread> threads;
  for (int index = 0; index < kListeners; index++)
    threads.emplace_back([fd] {
      for (;;) {
        const int taken = accept4(fd, nullptr, nullptr, SOCK_CLOEXEC);
        if (taken >= 0) close(taken);
      }
    });
  for (std::thread& thread : threads) thread.join();
  return 0;
}

struct Count {
  uint64_t made = 0;
  uint64_t failed = 0;
};

bool Connect(const sockaddr_in& to) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const linger at_once = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  const bool made = connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0;
  close(fd);
  return made;
}

// A thread's share, spread evenly; what is late is made up for.
void Storm(const sockaddr_in& to, double per_second, double seconds, Count* count) {
  const auto begin = Clock::now();
  const auto planned = static_cast<uint64_t>(per_second * seconds);
  for (uint64_t index = 0; index < planned; index++) {
    const auto due = begin + std::chrono::duration_cast<Clock::duration>(
                                 std::chrono::duration<double>(static_cast<double>(index) / per_second));
    const auto now = Clock::now();
    if (now - begin > std::chrono::duration<double>(seconds)) return;
    if (due - now > std::chrono::microseconds(200)) std::this_thread::sleep_until(due);
    (Connect(to) ? count->made : count->failed)++;
  }
}

int Storms(const sockaddr_in& to, double rate, double seconds, size_t threads_wanted) {
  std::vector<Count> counts(threads_wanted);
  std::vector<std::thread> threads;
  const auto begin = Clock::now();
  for (Count& count : counts)
    threads.emplace_back([&] { Storm(to, rate / static_cast<double>(threads_wanted), seconds, &count); });
  Count all;
  for (size_t index = 0; index < threads.size(); index++) {
    threads[index].join();
    all.made += counts[index].made;
    all.failed += counts[index].failed;
  }
  const double took = std::chrono::duration<double>(Clock::now() - begin).count();
  printf("{\"made\": %llu, \"failed\": %llu, \"seconds\": %.3f}\n", static_cast<unsigned long long>(all.made),
         static_cast<unsigned long long>(all.failed), took);
  return 0;
}

}  // namespace

int main(int count, char** words) {
  if (count == 4 && strcmp(words[1], "listen") == 0) return Listen(Parse(words[2], words[3]));
  if (count == 7 && strcmp(words[1], "connect") == 0)
    return Storms(Parse(words[2], words[3]), atof(words[4]), atof(words[5]), static_cast<size_t>(atoi(words[6])));
  fprintf(stderr, "connect-storm listen ADDRESS NUMBER | connect ADDRESS NUMBER RATE SECONDS THREADS\n");
  return 2;
}
