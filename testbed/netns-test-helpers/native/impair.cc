// impair SEED LONGEST-FRAME INTERFACE INTERFACE [NETNS INTERFACE]...
//
// Joins two interfaces of its network namespace like a cable that delays, loses, doubles, damages, reorders and limits
// what passes. Lines on stdin command it, each answered by one line of JSON on stdout; at the end of stdin it ends.
//
//   set DIRECTION NAME VALUE ...   settings of a direction: 0 from the first interface to the second, 1 back
//   counters                       of both directions
//
// Each NETNS (a file) INTERFACE names an interface at the other end of the cable's two: it stops to leave checksums and
// segmentation to hardware, so that what passes here is what would be on a wire. Packets that are lost, delayed or
// damaged are then those that a router would see, not pieces of 64 KiB.
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <sstream>
#include <string>

#include "line.h"

namespace {

using nth::Die;
using nth::Line;
using nth::Nanos;
using nth::PacketPort;

// One look at a port takes no more than so many frames, or the other direction would wait for it.
constexpr int kFramesPerLook = 512;

void SwitchOff(int fd, const char* interface, uint32_t command) {
  ethtool_value off = {command, 0};
  ifreq request = {};
  strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
  request.ifr_data = reinterpret_cast<char*>(&off);
  if (ioctl(fd, SIOCETHTOOL, &request) != 0) Die(std::string("ethtool of ") + interface);
}

void MakePlain(const char* netns, const char* interface) {
  const int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  const int there = open(netns, O_RDONLY | O_CLOEXEC);
  if (here < 0 || there < 0 || setns(there, CLONE_NEWNET) != 0) Die(netns);
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  SwitchOff(fd, interface, ETHTOOL_STSO);
  SwitchOff(fd, interface, ETHTOOL_STXCSUM);
  if (setns(here, CLONE_NEWNET) != 0) Die("setns");
  close(fd);
  close(there);
  close(here);
}

bool Set(nth::Settings* settings, const std::string& name, double value) {
  const auto whole = static_cast<int64_t>(value);
  if (name == "delay") settings->delay = whole;
  else if (name == "jitter") settings->jitter = whole;
  else if (name == "loss") settings->loss = value;
  else if (name == "burst") settings->burst = value;
  else if (name == "burstPackets") settings->burst_packets = static_cast<uint32_t>(whole);
  else if (name == "duplicate") settings->duplicate = value;
  else if (name == "duplicateAfter") settings->duplicate_after = whole;
  else if (name == "corrupt") settings->corrupt = value;
  else if (name == "corruptHidden") settings->corrupt_hidden = whole != 0;
  else if (name == "reorder") settings->reorder = value;
  else if (name == "reorderBy") settings->reorder_by = whole;
  else if (name == "rate") settings->rate = whole;
  else if (name == "queuePackets") settings->queue_packets = static_cast<uint32_t>(whole);
  else if (name == "queueTime") settings->queue_time = whole;
  else if (name == "dropLongerThan") settings->drop_longer_than = static_cast<uint32_t>(whole);
  else return false;
  return true;
}

class Cable {
 public:
  Cable(uint64_t seed, const PacketPort::Options& options, const char* first, const char* second)
      : ports_{{first, options}, {second, options}}, lines_{{seed, 0}, {seed, 1}} {}

  [[noreturn]] void Run() {
    for (;;) {
      Wait();
      Carry();
    }
  }

 private:
  PacketPort ports_[2];
  Line lines_[2];
  std::string input_;

  void Carry() {
    for (int way : {0, 1}) Read(way);
    for (int way : {0, 1}) lines_[way].Deliver(nth::Now(), &ports_[1 - way]);
  }

  void Wait() {
    pollfd polled[] = {{ports_[0].fd(), POLLIN, 0}, {ports_[1].fd(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    const Nanos due = std::min(lines_[0].NextDue(), lines_[1].NextDue());
    const Nanos wait = std::max<Nanos>(due - nth::Now(), 0);
    const timespec time = {wait / 1000000000, wait % 1000000000};
    if (ppoll(polled, 3, due == INT64_MAX ? nullptr : &time, nullptr) < 0 && errno != EINTR) Die("ppoll");
    for (int way : {0, 1})
      if ((polled[way].revents & POLLERR) != 0) ClearError(ports_[way].fd());
    if (polled[2].revents != 0) ReadCommands();
  }

  // An interface that goes down leaves an error, which poll would report for ever.
  static void ClearError(int fd) {
    int error;
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  }

  void Read(int way) {
    nth::Arrived arrived;
    for (int frames = 0; frames < kFramesPerLook && ports_[way].Next(&arrived); frames++)
      lines_[way].Take(arrived);
  }

  void ReadCommands() {
    char piece[4096];
    const ssize_t got = read(STDIN_FILENO, piece, sizeof piece);
    if (got <= 0) exit(0);
    input_.append(piece, static_cast<size_t>(got));
    for (size_t end; (end = input_.find('\n')) != std::string::npos; input_.erase(0, end + 1))
      Obey(input_.substr(0, end));
    fflush(stdout);
  }

  void Obey(const std::string& line) {
    std::istringstream words(line);
    std::string verb, name;
    words >> verb;
    if (verb == "counters") return PrintCounters();
    size_t way = 2;
    double value;
    if (verb != "set" || !(words >> way) || way > 1) return Refuse(line);
    nth::Settings settings = lines_[way].settings;
    while (words >> name)
      if (!(words >> value) || !Set(&settings, name, value)) return Refuse(line);
    lines_[way].settings = settings;
    puts("{\"ok\":true}");
  }

  static void Refuse(const std::string& line) {
    fprintf(stderr, "not understood: %s\n", line.c_str());
    puts("{\"ok\":false}");
  }

  void PrintCounters() {
    // What was sent before the question was asked is in the answer.
    Carry();
    for (int way : {0, 1}) {
      fputs(way == 0 ? "[" : ",", stdout);
      lines_[way].Print(stdout, ports_[way].Overrun());
    }
    puts("]");
  }
};

}  // namespace

int main(int count, char** words) {
  if (count < 5 || count % 2 == 0) {
    fputs("impair SEED LONGEST-FRAME INTERFACE INTERFACE [NETNS INTERFACE]...\n", stderr);
    return 2;
  }
  for (int at = 5; at < count; at += 2) MakePlain(words[at], words[at + 1]);
  // Timers to the microsecond, and ahead of the programs whose packets these are; without the right, as it comes.
  prctl(PR_SET_TIMERSLACK, 1000);
  setpriority(PRIO_PROCESS, 0, -10);
  PacketPort::Options options;
  options.longest_frame = static_cast<uint32_t>(strtoul(words[2], nullptr, 10));
  Cable cable(strtoull(words[1], nullptr, 10), options, words[3], words[4]);
  puts("{\"ready\":true}");
  fflush(stdout);
  cable.Run();
}
