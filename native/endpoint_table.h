// Peers with something about each: bounded, the one that was longest silent gives way, and idle ones are forgotten.
#pragma once

#include <cstdint>
#include <list>
#include <unordered_map>
#include <utility>

#include "endpoint.h"

namespace entremise {

template <typename T>
class EndpointTable {
 public:
  EndpointTable(size_t most, uint64_t idle_ms) : most_(most), idle_ms_(idle_ms) {}

  // Null when it is not there, or was idle for too long. Being looked for keeps it.
  T* Find(const Endpoint& peer, uint64_t now_ms) {
    const auto found = index_.find(peer);
    if (found == index_.end()) return nullptr;
    const auto entry = found->second;
    // `now_ms` may be an older reading of the clock than that of Put.
    if (entry->used_ms + idle_ms_ <= now_ms) {
      entries_.erase(entry);
      index_.erase(found);
      return nullptr;
    }
    entry->used_ms = now_ms;
    entries_.splice(entries_.begin(), entries_, entry);
    return &entry->value;
  }

  void Put(const Endpoint& peer, T value, uint64_t now_ms) {
    if (T* there = Find(peer, now_ms)) {
      *there = std::move(value);
      return;
    }
    if (index_.size() >= most_) {
      index_.erase(entries_.back().peer);
      entries_.pop_back();
    }
    entries_.push_front({peer, now_ms, std::move(value)});
    index_[peer] = entries_.begin();
  }

  void Clear() {
    index_.clear();
    entries_.clear();
  }
  size_t size() const { return index_.size(); }

 private:
  struct Entry {
    Endpoint peer;
    uint64_t used_ms;
    T value;
  };
  size_t most_;
  uint64_t idle_ms_;
  std::list<Entry> entries_;
  std::unordered_map<Endpoint, typename std::list<Entry>::iterator, EndpointHash> index_;
};

}  // namespace entremise
