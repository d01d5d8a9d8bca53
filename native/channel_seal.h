// Seals and opens the packets of one channel (P7.3): counters, epochs, what has come before. No sockets, no clock.
#pragma once

#include <memory>

#include "aead.h"
#include "packet.h"
#include "replay_window.h"

namespace entremise {

// Owner of a channel's counter. One key is never given to two of them.
class ChannelSealer {
 public:
  void Install(uint8_t epoch, std::unique_ptr<Aead> key) {
    key_ = std::move(key);
    epoch_ = epoch;
    counter_ = 0;
  }
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

class ChannelOpener {
 public:
  // The epoch before is opened until `old_until_ms`, with its own window.
  void Install(uint8_t epoch, std::unique_ptr<Aead> key, uint64_t old_until_ms) {
    before_ = std::move(current_);
    before_until_ms_ = old_until_ms;
    current_ = {epoch, std::move(key), std::make_unique<ReplayWindow>()};
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
    return Opened::kDone;
  }

 private:
  struct Epoch {
    uint8_t number = 0;
    std::unique_ptr<Aead> key;
    std::unique_ptr<ReplayWindow> window;
  };

  Epoch* EpochOf(uint8_t number, uint64_t now_ms) {
    if (before_.key != nullptr && now_ms >= before_until_ms_) before_ = {};
    if (current_.key != nullptr && current_.number == number) return &current_;
    return before_.key != nullptr && before_.number == number ? &before_ : nullptr;
  }

  Epoch current_;
  Epoch before_;
  uint64_t before_until_ms_ = 0;
};

}  // namespace entremise
