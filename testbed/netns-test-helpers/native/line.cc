#include "line.h"

#include <algorithm>
#include <cinttypes>
#include <climits>

namespace nth {
namespace {

constexpr uint64_t kMostHeldBytes = 256u << 20;
constexpr size_t kBatch = 64;

}  // namespace

void Line::Take(const Arrived& arrived) {
  if (arrived.kept != arrived.length) return void(counters_.too_long++);
  if (IsNeighbourTraffic(arrived.bytes, arrived.length)) {
    counters_.neighbour++;
    return Hold(arrived.at, Frame::CopyOf(arrived.bytes, arrived.length));
  }
  const uint32_t bytes = arrived.length - kEthernetHeader;
  counters_.arrived++;
  counters_.arrived_bytes += bytes;
  const Fate fate = oracle_.Next(settings);
  if (settings.drop_longer_than != 0 && bytes > settings.drop_longer_than) return void(counters_.too_long++);
  if (fate.lost) return void(counters_.lost++);
  if (fate.lost_in_burst) return void(counters_.lost_in_bursts++);
  Nanos departed;
  if (!Depart(arrived.at, bytes, &departed)) return void(counters_.queue_full++);

  Frame frame = Frame::CopyOf(arrived.bytes, arrived.length);
  if (fate.corrupted && Damage(frame.bytes.get(), frame.length, fate.damage, settings.corrupt_hidden))
    counters_.corrupted++;
  Nanos due = departed + std::max<Nanos>(settings.delay + fate.jitter, 0);
  // Jitter alone keeps the order: only what is held back is overtaken.
  due = last_due_ = std::max(due, last_due_);
  if (fate.held_back) {
    counters_.reordered++;
    due += settings.reorder_by;
  }
  if (fate.duplicated) {
    counters_.duplicated++;
    Hold(due + settings.duplicate_after, Frame::CopyOf(frame.bytes.get(), frame.length));
  }
  Hold(due, std::move(frame));
}

bool Line::Depart(Nanos arrived, uint32_t bytes, Nanos* departed) {
  *departed = arrived;
  if (settings.rate == 0) return true;
  while (!departures_.empty() && departures_.front() <= arrived) departures_.pop_front();
  const Nanos starts = std::max(arrived, wire_free_);
  // The one that the wire is busy with does not wait.
  if (settings.queue_packets != 0 && departures_.size() > settings.queue_packets) return false;
  if (settings.queue_time != 0 && starts - arrived > settings.queue_time) return false;
  *departed = wire_free_ = starts + static_cast<Nanos>(bytes * 8e9 / static_cast<double>(settings.rate));
  departures_.push_back(wire_free_);
  return true;
}

void Line::Hold(Nanos due, Frame frame) {
  if (held_bytes_ + frame.length > kMostHeldBytes) return void(counters_.overflowed++);
  held_bytes_ += frame.length;
  heap_.push_back({due, order_++, std::move(frame)});
  std::push_heap(heap_.begin(), heap_.end());
}

Nanos Line::NextDue() const { return heap_.empty() ? INT64_MAX : heap_.front().due; }

void Line::Deliver(Nanos now, PacketPort* port) {
  while (NextDue() <= now) {
    Frame batch[kBatch];
    size_t count = 0;
    while (count < kBatch && NextDue() <= now) {
      std::pop_heap(heap_.begin(), heap_.end());
      batch[count] = std::move(heap_.back().frame);
      heap_.pop_back();
      held_bytes_ -= batch[count++].length;
    }
    port->Send(batch, count);
    for (size_t i = 0; i < count; i++) CountSent(batch[i].length);
  }
}

void Line::CountSent(uint32_t length) {
  if (length == 0) return void(counters_.overflowed++);
  counters_.delivered++;
  counters_.delivered_bytes += length - kEthernetHeader;
}

void Line::Print(FILE* out, uint64_t overrun) const {
  const struct {
    const char* name;
    uint64_t value;
  } fields[] = {
      {"arrived", counters_.arrived},
      {"arrivedBytes", counters_.arrived_bytes},
      {"delivered", counters_.delivered},
      {"deliveredBytes", counters_.delivered_bytes},
      {"lost", counters_.lost},
      {"lostInBursts", counters_.lost_in_bursts},
      {"tooLong", counters_.too_long},
      {"queueFull", counters_.queue_full},
      {"corrupted", counters_.corrupted},
      {"duplicated", counters_.duplicated},
      {"reordered", counters_.reordered},
      {"neighbour", counters_.neighbour},
      {"overflowed", counters_.overflowed + overrun},
      {"underWay", heap_.size()},
  };
  const char* before = "{";
  for (const auto& [name, value] : fields) {
    fprintf(out, "%s\"%s\":%" PRIu64, before, name, value);
    before = ",";
  }
  fputs("}", out);
}

}  // namespace nth
