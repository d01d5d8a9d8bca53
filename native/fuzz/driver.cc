// Feeds a target where there is no libFuzzer: DRIVER RUNS SEED [FILE ...]. Each run is one of the files, changed at some
// places. The input that ends the program can be had again: the same seed gives the same runs.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Bytes = std::vector<uint8_t>;
constexpr size_t kLongest = 4096;

Bytes ReadFile(const char* path) {
  Bytes bytes(kLongest);
  FILE* file = fopen(path, "rb");
  if (file == nullptr) {
    perror(path);
    exit(2);
  }
  bytes.resize(fread(bytes.data(), 1, bytes.size(), file));
  fclose(file);
  return bytes;
}

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  size_t Below(size_t limit) { return limit == 0 ? 0 : random_() % limit; }

  void Change(Bytes* bytes, const Bytes& other) {
    const size_t at = Below(bytes->size() + 1);
    const auto place = bytes->begin() + static_cast<std::ptrdiff_t>(at);
    switch (Below(6)) {
      case 0:
        if (at < bytes->size()) (*bytes)[at] = static_cast<uint8_t>((*bytes)[at] ^ (1u << Below(8)));
        break;
      case 1:
        if (at < bytes->size()) (*bytes)[at] = kInteresting[Below(sizeof(kInteresting))];
        break;
      case 2:
        bytes->insert(place, Below(16) + 1, static_cast<uint8_t>(random_()));
        break;
      case 3:
        bytes->erase(place, place + static_cast<std::ptrdiff_t>(Below(bytes->size() - at + 1)));
        break;
      case 4:
        bytes->insert(place, other.begin(), other.begin() + static_cast<std::ptrdiff_t>(Below(other.size() + 1)));
        break;
      default:
        if (at < bytes->size()) (*bytes)[at] = static_cast<uint8_t>(random_());
    }
    if (bytes->size() > kLongest) bytes->resize(kLongest);
  }

 private:
  static constexpr uint8_t kInteresting[] = {0, 1, 2, 4, 5, 6, 7, 16, 31, 32, 127, 128, 255};
  std::mt19937_64 random_;
};

}  // namespace

int main(int count, char** words) {
  if (count < 3) return 2;
  const unsigned long runs = strtoul(words[1], nullptr, 10);
  Mutator mutator(strtoull(words[2], nullptr, 10));
  std::vector<Bytes> corpus = {{}};
  for (int index = 3; index < count; index++) corpus.push_back(ReadFile(words[index]));
  for (const Bytes& bytes : corpus) LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  for (unsigned long run = 0; run < runs; run++) {
    Bytes bytes = corpus[mutator.Below(corpus.size())];
    for (size_t changes = mutator.Below(8); changes > 0; changes--) {
      mutator.Change(&bytes, corpus[mutator.Below(corpus.size())]);
    }
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    // What a target keeps between runs grows from what it was given.
    if (corpus.size() < 512 && mutator.Below(64) == 0) corpus.push_back(bytes);
  }
  printf("%lu runs\n", runs);
  return 0;
}
