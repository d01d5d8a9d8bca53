#include "capture.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

namespace entremise {
namespace {

constexpr size_t kStackBytes = 256 * 1024;

// What may be captured is asked of the kernel once, before there are ports.
int MayCapture() {
  const Fd probe(socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return probe.valid() ? 0 : errno;
}

// Signals are the process's main thread's business.
int StartThread(pthread_t* thread, void* (*main)(void*), void* argument) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(thread, &attributes, main, argument);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  return error;
}

using RecordBytes = std::array<uint8_t, Capture::kRecordBytes>;

void Put(RecordBytes& record, size_t at, size_t length, uint64_t value) {
  for (size_t index = length; index > 0; index--, value >>= 8) record[at + index - 1] = static_cast<uint8_t>(value);
}

void PutEndpoint(RecordBytes& record, size_t at, const TcpEndpoint& endpoint) {
  Put(record, at, 2, endpoint.number);
  std::memcpy(record.data() + at + 2, endpoint.address.data(), endpoint.address.size());
}

RecordBytes RecordOf(unsigned interface_index, const CapturedEvent& event, uint64_t time_us) {
  RecordBytes record = {};
  Put(record, 0, 1, static_cast<uint64_t>(event.kind));
  Put(record, 1, 1, event.from_peer ? 1 : 2);
  Put(record, 4, 4, interface_index);
  Put(record, 8, 4, event.sequence);
  Put(record, 12, 4, event.acknowledgement);
  Put(record, 16, 8, time_us);
  PutEndpoint(record, 24, event.local);
  PutEndpoint(record, 42, event.peer);
  return record;
}

}  // namespace

int Capture::Start(std::function<void()> on_news, std::unique_ptr<Capture>* out) {
  int error = MayCapture();
  if (error != 0) return error;
  Fd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return errno;
  std::unique_ptr<Capture> capture(new Capture(std::move(wake), std::move(on_news)));
  error = StartThread(&capture->thread_, Main, capture.get());
  if (error != 0) return error;
  capture->running_ = true;
  *out = std::move(capture);
  return 0;
}

Capture::~Capture() {
  if (!running_) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    over_ = true;
  }
  Wake();
  pthread_join(thread_, nullptr);
}

void Capture::Wake() {
  // Fails only when the counter is full: then it is awake.
  [[maybe_unused]] const int ignored = eventfd_write(wake_.number(), 1);
}

int Capture::AddInterface(const std::string& name, unsigned* index) {
  *index = if_nametoindex(name.c_str());
  if (*index == 0) return errno;
  std::shared_ptr<const CaptureTargets> targets;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto known = rings_.find(name);
    if (known != rings_.end() && known->second->interface_index() == *index) return 0;
    targets = targets_;
  }
  std::unique_ptr<CaptureRing> ring;
  // Only the interface knows whether it is a loopback; until the filter is right, nothing passes.
  int error = CaptureRing::Open(*index, BuildCaptureFilter({}, false), &ring);
  if (error == 0) error = ring->SetFilter(BuildCaptureFilter(*targets, ring->loopback()));
  if (error != 0) return error;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    rings_[name] = std::move(ring);
  }
  Wake();
  return 0;
}

bool Capture::RemoveInterface(const std::string& name) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (rings_.erase(name) == 0) return false;
  }
  Wake();
  return true;
}

int Capture::SetTargets(CaptureTargets targets) {
  std::vector<RingPointer> rings;
  const auto shared = std::make_shared<const CaptureTargets>(std::move(targets));
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    // Before the filters: what a new one lets through is known by then.
    targets_ = shared;
  }
  int result = 0;
  for (const RingPointer& ring : Rings()) {
    const int error = ring->SetFilter(BuildCaptureFilter(*shared, ring->loopback()));
    if (error != 0) result = error;
  }
  return result;
}

Capture::Batch Capture::Take() {
  Batch batch;
  const std::lock_guard<std::mutex> lock(mutex_);
  std::swap(batch, waiting_);
  return batch;
}

Capture::Counters Capture::counters() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return counters_;
}

void* Capture::Main(void* capture) {
  static_cast<Capture*>(capture)->Run();
  return nullptr;
}

void Capture::Run() {
  for (;;) {
    const std::vector<RingPointer> rings = Rings();
    Wait(rings);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (over_) return;
    }
    bool news = false;
    for (const RingPointer& ring : rings) news = Drain(*ring) || news;
    if (news) on_news_();
  }
}

// A ring that is taken away lives until the thread has left it.
std::vector<Capture::RingPointer> Capture::Rings() {
  std::vector<RingPointer> rings;
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& [name, ring] : rings_) rings.push_back(ring);
  return rings;
}

void Capture::Wait(const std::vector<RingPointer>& rings) {
  std::vector<pollfd> polled = {{wake_.number(), POLLIN, 0}};
  for (const RingPointer& ring : rings) polled.push_back({ring->fd(), POLLIN, 0});
  poll(polled.data(), polled.size(), -1);
  if (polled[0].revents != 0) {
    eventfd_t ignored = 0;
    eventfd_read(wake_.number(), &ignored);
  }
  for (size_t index = 0; index < rings.size(); index++)
    if ((polled[index + 1].revents & POLLERR) != 0) rings[index]->TakeError();
}

bool Capture::Drain(CaptureRing& ring) {
  std::shared_ptr<const CaptureTargets> targets;
  uint64_t before = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    targets = targets_;
    before = counters_.recorded + counters_.lost;
  }
  CapturedEvent event;
  const bool intact = ring.Drain([&](const PacketContext& context, const uint8_t* bytes, size_t length, uint64_t time) {
    if (Recognise(*targets, ring.loopback(), context, bytes, length, &event)) Record(ring, event, time);
  });
  const CaptureRing::Statistics statistics = ring.TakeStatistics();
  const std::lock_guard<std::mutex> lock(mutex_);
  counters_.seen += statistics.seen;
  counters_.lost += statistics.dropped;
  waiting_.lost += statistics.dropped;
  if (!intact) {
    // Nobody reads it any more; that it is gone shows in `lost`.
    for (auto entry = rings_.begin(); entry != rings_.end(); ++entry) {
      if (entry->second.get() != &ring) continue;
      rings_.erase(entry);
      break;
    }
    counters_.lost++;
    waiting_.lost++;
  }
  return counters_.recorded + counters_.lost > before;
}

void Capture::Record(const CaptureRing& ring, const CapturedEvent& event, uint64_t time_us) {
  const RecordBytes record = RecordOf(ring.interface_index(), event, time_us);
  const std::lock_guard<std::mutex> lock(mutex_);
  if (waiting_.records.size() >= kMaxRecords * kRecordBytes) {
    counters_.lost++;
    waiting_.lost++;
    return;
  }
  counters_.recorded++;
  waiting_.records.insert(waiting_.records.end(), record.begin(), record.end());
}

}  // namespace entremise
