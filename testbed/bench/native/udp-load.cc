// Load for the bench of UDP: one generator and one sink for every way that is compared. They share a file, so that the
// generator knows what has arrived:
//
//   udp-load sink FILE ADDRESS NUMBER
//   udp-load send FILE FROM TO NUMBER BYTES RATE SECONDS WINDOW [PEER NUMBER]
//
// RATE 0: as fast as it goes with at most WINDOW datagrams on the way, so that what is found is the rate that arrives and
// not the one that is thrown at a full queue. With PEER they go as ChannelData (RFC 8656 §12.4) to a TURN server,
// which has been asked for a relayed address bound to the peer. The result is one line of JSON.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr uint32_t kMagic = 0x656e7472;
constexpr int kBatch = 32;
constexpr int kBuckets = 2000;
constexpr uint64_t kBucketNs = 10'000;
// On a busy machine a program may not run for a while: that is no loss.
constexpr uint64_t kGivenUpNs = 300'000'000;
constexpr uint16_t kTurnChannel = 0x4000;

struct Shared {
  std::atomic<uint32_t> run;
  std::atomic<uint64_t> received;
  std::atomic<uint64_t> latencies[kBuckets];
};

struct Head {
  uint32_t magic;
  uint32_t run;
  uint64_t sent_ns;
};

uint64_t NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

[[noreturn]] void Fail(const char* what) {
  fprintf(stderr, "udp-load: %s: %s\n", what, strerror(errno));
  exit(1);
}

sockaddr_in Ipv4(const char* address, const char* number) {
  sockaddr_in out = {};
  out.sin_family = AF_INET;
  out.sin_port = htons(static_cast<uint16_t>(atoi(number)));
  if (inet_pton(AF_INET, address, &out.sin_addr) != 1) Fail(address);
  return out;
}

int BoundSocket(const sockaddr_in& local) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int bytes = 4 * 1024 * 1024;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes));
  if (fd < 0 || bind(fd, reinterpret_cast<const sockaddr*>(&local), sizeof(local)) != 0) Fail("bind");
  return fd;
}

Shared* Map(const char* path) {
  const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, sizeof(Shared)) != 0) Fail(path);
  void* mapped = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) Fail(path);
  return static_cast<Shared*>(mapped);
}

int Sink(Shared* shared, const sockaddr_in& local) {
  const int fd = BoundSocket(local);
  static uint8_t bytes[kBatch][2048];
  mmsghdr messages[kBatch] = {};
  iovec vectors[kBatch];
  for (int index = 0; index < kBatch; index++) {
    vectors[index] = {bytes[index], sizeof(bytes[index])};
    messages[index].msg_hdr.msg_iov = &vectors[index];
    messages[index].msg_hdr.msg_iovlen = 1;
  }
  printf("ready\n");
  fflush(stdout);
  for (;;) {
    const int got = recvmmsg(fd, messages, kBatch, MSG_WAITFORONE, nullptr);
    if (got < 0 && errno != EINTR) Fail("recvmmsg");
    const uint64_t now = NowNs();
    uint64_t counted = 0;
    for (int index = 0; index < got; index++) {
      Head head;
      memcpy(&head, bytes[index], sizeof(head));
      if (messages[index].msg_len < sizeof(head) || head.magic != kMagic || head.run != shared->run) continue;
      counted++;
      const uint64_t bucket = (now - head.sent_ns) / kBucketNs;
      shared->latencies[bucket < kBuckets ? bucket : kBuckets - 1].fetch_add(1, std::memory_order_relaxed);
    }
    shared->received.fetch_add(counted);
  }
}

// One attribute of a STUN message (RFC 8489 §14).
uint8_t* Attribute(uint8_t* at, uint16_t type, const void* value, uint16_t bytes) {
  const uint16_t head[2] = {htons(type), htons(bytes)};
  memcpy(at, head, 4);
  memcpy(at + 4, value, bytes);
  return at + 4 + bytes;
}

void Ask(int fd, uint16_t type, const uint8_t* attributes, size_t bytes) {
  uint8_t message[128] = {};
  const uint16_t head[2] = {htons(type), htons(static_cast<uint16_t>(bytes))};
  const uint32_t cookie = htonl(0x2112a442);
  memcpy(message, head, 4);
  memcpy(message + 4, &cookie, 4);
  memcpy(message + 8, "entremise-by", 12);
  memcpy(message + 20, attributes, bytes);
  uint8_t answer[1024];
  if (send(fd, message, 20 + bytes, 0) < 0) Fail("TURN request");
  const ssize_t got = recv(fd, answer, sizeof(answer), 0);
  if (got < 20 || (answer[0] & 0x01) == 0 || (answer[1] & 0x10) != 0) {
    fprintf(stderr, "udp-load: the TURN server refuses %04x: %02x%02x\n", type, answer[0], answer[1]);
    exit(1);
  }
}

// Allocate, then ChannelBind to the peer (RFC 8656 §7, §12).
void Allocate(int fd, const sockaddr_in& peer) {
  const timeval patience = {5, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  uint8_t attributes[64];
  const uint8_t udp[4] = {17, 0, 0, 0};
  uint8_t* end = Attribute(attributes, 0x0019, udp, sizeof(udp));
  Ask(fd, 0x0003, attributes, static_cast<size_t>(end - attributes));
  uint8_t address[8] = {0, 1};
  const uint16_t number = static_cast<uint16_t>(peer.sin_port ^ htons(0x2112));
  const uint32_t host = peer.sin_addr.s_addr ^ htonl(0x2112a442);
  memcpy(address + 2, &number, 2);
  memcpy(address + 4, &host, 4);
  const uint16_t channel[2] = {htons(kTurnChannel), 0};
  end = Attribute(attributes, 0x000c, channel, sizeof(channel));
  end = Attribute(end, 0x0012, address, sizeof(address));
  Ask(fd, 0x0009, attributes, static_cast<size_t>(end - attributes));
}

struct Load {
  size_t bytes;
  double rate;
  double seconds;
  uint64_t window;
};

uint64_t LatencyNs(const Shared& shared, double share, uint64_t total) {
  uint64_t seen = 0;
  for (int bucket = 0; bucket < kBuckets; bucket++) {
    seen += shared.latencies[bucket];
    if (seen >= share * static_cast<double>(total)) return static_cast<uint64_t>(bucket) * kBucketNs + kBucketNs / 2;
  }
  return 0;
}

void SleepUntil(uint64_t ns) {
  const timespec at = {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr);
}

// How many may go now; 0 after a short sleep.
uint64_t Allowed(const Load& load, const Shared& shared, uint64_t sent, uint64_t begun, uint64_t now, uint64_t* lost,
                 uint64_t* moved_ns, uint64_t* moved) {
  if (load.rate > 0) {
    const auto due = static_cast<uint64_t>(static_cast<double>(now - begun) * load.rate / 1e9) + 1;
    if (due > sent) return due - sent;
    SleepUntil(begun + static_cast<uint64_t>(static_cast<double>(sent) * 1e9 / load.rate));
    return 0;
  }
  const uint64_t received = shared.received;
  if (received != *moved) {
    *moved = received;
    *moved_ns = now;
  } else if (now - *moved_ns > kGivenUpNs) {
    // What does not move is lost, and no longer on the way.
    *lost = sent - received;
    *moved_ns = now;
  }
  const uint64_t under_way = sent - received > *lost ? sent - received - *lost : 0;
  if (under_way < load.window) return load.window - under_way;
  SleepUntil(now + 20'000);
  return 0;
}

int Send(Shared* shared, int fd, const Load& load, bool turn) {
  static uint8_t bytes[kBatch][2048] = {};
  mmsghdr messages[kBatch] = {};
  iovec vectors[kBatch];
  const size_t before = turn ? 4 : 0;
  const uint32_t run = shared->run + 1;
  for (int index = 0; index < kBatch; index++) {
    const uint16_t head[2] = {htons(kTurnChannel), htons(static_cast<uint16_t>(load.bytes))};
    if (turn) memcpy(bytes[index], head, 4);
    vectors[index] = {bytes[index], before + load.bytes};
    messages[index].msg_hdr.msg_iov = &vectors[index];
    messages[index].msg_hdr.msg_iovlen = 1;
  }
  shared->received = 0;
  for (auto& latency : shared->latencies) latency = 0;
  shared->run = run;
  prctl(PR_SET_TIMERSLACK, 1);
  const uint64_t begun = NowNs();
  const auto end = begun + static_cast<uint64_t>(load.seconds * 1e9);
  uint64_t sent = 0, lost = 0, moved_ns = begun, moved = 0, now = begun;
  for (; now < end; now = NowNs()) {
    const uint64_t allowed = Allowed(load, *shared, sent, begun, now, &lost, &moved_ns, &moved);
    const unsigned count = allowed < kBatch ? static_cast<unsigned>(allowed) : kBatch;
    if (count == 0) continue;
    const Head head = {kMagic, run, now};
    for (unsigned index = 0; index < count; index++) memcpy(bytes[index] + before, &head, sizeof(head));
    const int gone = sendmmsg(fd, messages, count, 0);
    if (gone > 0) sent += static_cast<uint64_t>(gone);
  }
  const double seconds = static_cast<double>(now - begun) / 1e9;
  // What is on the way arrives.
  for (uint64_t last = UINT64_MAX; shared->received < sent && last != shared->received;) {
    last = shared->received;
    SleepUntil(NowNs() + kGivenUpNs);
  }
  const uint64_t received = shared->received;
  printf("{\"sent\":%llu,\"received\":%llu,\"seconds\":%.6f,\"p50Us\":%.1f,\"p99Us\":%.1f}\n",
         static_cast<unsigned long long>(sent), static_cast<unsigned long long>(received), seconds,
         static_cast<double>(LatencyNs(*shared, 0.5, received)) / 1e3,
         static_cast<double>(LatencyNs(*shared, 0.99, received)) / 1e3);
  return 0;
}

}  // namespace

int main(int count, char** words) {
  if (count == 5 && strcmp(words[1], "sink") == 0) return Sink(Map(words[2]), Ipv4(words[3], words[4]));
  if ((count != 10 && count != 12) || strcmp(words[1], "send") != 0) {
    fprintf(stderr, "udp-load: see the head of its source\n");
    return 2;
  }
  const Load load = {static_cast<size_t>(atoi(words[6])), atof(words[7]), atof(words[8]),
                     static_cast<uint64_t>(atoi(words[9]))};
  if (load.bytes < sizeof(Head) || load.bytes > 1400) return 2;
  const int fd = BoundSocket(Ipv4(words[3], "0"));
  const sockaddr_in to = Ipv4(words[4], words[5]);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) Fail("connect");
  const bool turn = count == 12;
  if (turn) Allocate(fd, Ipv4(words[10], words[11]));
  return Send(Map(words[2]), fd, load, turn);
}
