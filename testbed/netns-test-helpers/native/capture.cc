// capture INTERFACE SNAP-BYTES KEEP-BYTES
//
// Keeps the last packets of an interface, both directions, in memory, the first SNAP-BYTES of each. The line
// `write PATH` on stdin puts them in a pcap file and is answered by one line of JSON; at the end of stdin it ends.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "packet_port.h"

namespace {

constexpr char kWrite[] = "write ";

struct Record {
  // As in the file: nanoseconds because the magic number says so.
  struct {
    uint32_t seconds;
    uint32_t nanos;
    uint32_t kept;
    uint32_t length;
  } header;
  std::vector<uint8_t> bytes;

  size_t size() const { return sizeof header + bytes.size(); }
};

class Capture {
 public:
  Capture(const char* interface, uint32_t snap, size_t keep)
      : port_(interface, OptionsFor(snap)), snap_(snap), keep_(keep) {}

  void Run() {
    for (;;) {
      pollfd polled[] = {{port_.fd(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
      if (poll(polled, 2, -1) < 0 && errno != EINTR) nth::Die("poll");
      if ((polled[0].revents & POLLERR) != 0) ClearError();
      Read();
      if (polled[1].revents != 0) ReadCommands();
    }
  }

 private:
  nth::PacketPort port_;
  const uint32_t snap_;
  const size_t keep_;
  std::deque<Record> records_;
  size_t kept_bytes_ = 0;
  uint64_t forgotten_ = 0;
  std::string input_;

  static nth::PacketPort::Options OptionsFor(uint32_t snap) {
    nth::PacketPort::Options options;
    options.longest_frame = snap;
    options.ring_bytes = 4u << 20;
    options.outgoing_too = true;
    return options;
  }

  void ClearError() {
    int error;
    socklen_t size = sizeof error;
    getsockopt(port_.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
  }

  void Read() {
    nth::Arrived arrived;
    while (port_.Next(&arrived)) {
      const uint32_t kept = std::min(arrived.kept, snap_);
      Record record = {{arrived.real_seconds, arrived.real_nanos, kept, arrived.length},
                       {arrived.bytes, arrived.bytes + kept}};
      kept_bytes_ += record.size();
      records_.push_back(std::move(record));
      for (; kept_bytes_ > keep_; forgotten_++) {
        kept_bytes_ -= records_.front().size();
        records_.pop_front();
      }
    }
  }

  void ReadCommands() {
    char piece[4096];
    const ssize_t got = read(STDIN_FILENO, piece, sizeof piece);
    if (got <= 0) exit(0);
    input_.append(piece, static_cast<size_t>(got));
    for (size_t end; (end = input_.find('\n')) != std::string::npos; input_.erase(0, end + 1))
      if (input_.compare(0, strlen(kWrite), kWrite) == 0) Write(input_.substr(strlen(kWrite), end - strlen(kWrite)));
  }

  void Write(const std::string& path) {
    Read();
    FILE* file = fopen(path.c_str(), "wb");
    if (file == nullptr) nth::Die(path);
    struct {
      uint32_t magic = 0xa1b23c4d;
      uint16_t major = 2;
      uint16_t minor = 4;
      int32_t zone = 0;
      uint32_t accuracy = 0;
      uint32_t snap = 0;
      uint32_t link_type = 1;
    } header;
    header.snap = snap_;
    fwrite(&header, sizeof header, 1, file);
    for (const Record& record : records_) {
      fwrite(&record.header, sizeof record.header, 1, file);
      fwrite(record.bytes.data(), 1, record.bytes.size(), file);
    }
    if (fclose(file) != 0) nth::Die(path);
    printf("{\"packets\":%zu,\"forgotten\":%" PRIu64 "}\n", records_.size(), forgotten_ + port_.Overrun());
    fflush(stdout);
  }
};

}  // namespace

int main(int count, char** words) {
  if (count != 4) {
    fputs("capture INTERFACE SNAP-BYTES KEEP-BYTES\n", stderr);
    return 2;
  }
  Capture capture(words[1], static_cast<uint32_t>(strtoul(words[2], nullptr, 10)), strtoull(words[3], nullptr, 10));
  puts("{\"ready\":true}");
  fflush(stdout);
  capture.Run();
}
