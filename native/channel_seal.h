// Seals and opens the packets of one channel (P7.3): counters, epochs, what has come before. No sockets, no clock.
#pragma once

#include <memory>

#include "aead.h"
#include "packet.h"
#include "replay_window.h"

namespace entremise {

// Owner of a channel's counter. A key is given to one of them, once.
class ChannelSealer {
 public:
  void Install(uint8_t epoch, std::unique_ptr<Aead> key) {
    key_ = std::move(key);
    epoch_ = epoch;
    counter_ = 0;
  }
  uint8_t epoch() const { return epoch_; }
  bool spent() const { return key_ == nullptr || counter_ >= kMaxPacketsPerKey; }

  // Writes the header in front of the body and the tag behind it: both have to be there. False when spent.
  bool Seal(uint8_t kind, uint32_t cid, uint8_t* body, size_t length) {
    if (spent()) return false;
    const uint64_t counter = counter_++;
    WriteHeader({kind, epoch_, cid, counter}, body - kHeaderBytes);
    return key_->Seal(counter, body - kHeaderBytes, body, length);
  }

 private:
  std::unique_ptr<Aead> key_;
  uint64_t counter_ = 0;
  uint8_t epoch_ = 0;
};

enum class Opened { kDone, kUnknown, kForged, kReplayed };

// The epoch in use, the one before it for a while, each with its own window, and one whose first packet is awaited.
class ChannelOpener {
 public:
  ChannelOpener(uint8_t epoch, std::unique_ptr<Aead> key, uint64_t old_epoch_ms)
      : current_{epoch, std::move(key), std::make_unique<ReplayWindow>()}, old_epoch_ms_(old_epoch_ms) {}

  // It is in use once a packet of it has come; whichever was awaited before it is no more.
  void Await(uint8_t epoch, std::unique_ptr<Aead> key) {
    next_ = {epoch, std::move(key), std::make_unique<ReplayWindow>()};
  }
  // The epoch in use.
  uint8_t epoch() const { return current_.number; }
  bool Knows(uint8_t epoch) const {
    return current_.number == epoch || (before_.key != nullptr && before_.number == epoch) ||
           (next_.key != nullptr && next_.number == epoch);
  }

  // Opens in place: the body is behind the header then, its length the packet's less both ends.
  Opened Open(const PacketHeader& header, uint8_t* packet, size_t length, uint64_t now_ms) {
    Epoch* epoch = EpochOf(header.epoch, now_ms);
    if (epoch == nullptr) return Opened::kUnknown;
    if (!epoch->window->IsNew(header.counter)) return Opened::kReplayed;
    if (!epoch->key->Open(header.counter, packet, packet + kHeaderBytes, length - kOverheadBytes)) {
      return Opened::kForged;
    }
    epoch->window->Mark(header.counter);
    if (epoch == &next_) Use(now_ms);
    return Opened::kDone;
  }

 private:
  struct Epoch {
    uint8_t number = 0;
    std::unique_ptr<Aead> key;
    std::unique_ptr<ReplayWindow> window;
  };

  void Use(uint64_t now_ms) {
    before_ = std::move(current_);
    before_until_ms_ = now_ms + old_epoch_ms_;
    current_ = std::move(next_);
    next_ = {};
  }

  Epoch* EpochOf(uint8_t number, uint64_t now_ms) {
    if (before_.key != nullptr && now_ms >= before_until_ms_) before_ = {};
    if (current_.number == number) return &current_;
    if (before_.key != nullptr && before_.number == number) return &before_;
    return next_.key != nullptr && next_.number == number ? &next_ : nullptr;
  }

  Epoch current_;
  Epoch before_;
  Epoch next_;
  uint64_t old_epoch_ms_;
  uint64_t before_until_ms_ = 0;
};

}  // namespace entremise
