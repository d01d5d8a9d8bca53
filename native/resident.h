// Memory that the process holds and does not need. Plain C++: no N-API, no state.
#pragma once

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>  // defines __GLIBC__ where there is one
#include <cstdint>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace entremise {

// Gives pages of the C heap, in which Node keeps every buffer, back to the kernel when they hold nothing. glibc alone
// keeps them until the end of the heap is free; musl does not.
inline void TrimHeap() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

// From now on pieces of 64 KiB and more have pages of their own, which the kernel gives when they are written to and has
// back when they are freed. Node has a piece of exactly that size for what each TLS socket reads, of which an idle one has
// used the first page; within the heap it lies on pages that others have used before. glibc's own bound begins at
// 128 KiB and rises; musl's stays.
inline void MapLargePieces() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 64 * 1024);
#endif
}

// Lets go of the program's own pages that are as they are in its file: code and constants. What is used again is mapped
// again, as a rule without reading anything; what only the start needed (compilers, the parser, tables) is the kernel's to
// throw away. Segments that were writable when the file was mapped are left alone, also those that are not any more.
inline int UnmapOfObject(dl_phdr_info* object, size_t, void*) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const auto& segment = object->dlpi_phdr[i];
    // A text with relocations in it would come back without them.
    if (segment.p_type == PT_DYNAMIC) {
      const auto* entry = reinterpret_cast<const ElfW(Dyn)*>(object->dlpi_addr + segment.p_vaddr);
      for (; entry->d_tag != DT_NULL; entry++)
        if (entry->d_tag == DT_TEXTREL) return 1;
    }
  }
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const auto& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const uintptr_t begin = object->dlpi_addr + segment.p_vaddr;
    // Whole pages of this segment alone: the next one may begin within its last.
    const uintptr_t from = (begin + page - 1) / page * page;
    const uintptr_t to = (begin + segment.p_filesz) / page * page;
    if (to > from) madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
  }
  // The first object is the program; the others are small.
  return 1;
}

inline void UnmapProgram() { dl_iterate_phdr(UnmapOfObject, nullptr); }

}  // namespace entremise
