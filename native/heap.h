// The C heap, in which Node keeps every buffer. Plain C++: no N-API, no state.
#pragma once

#include <cstddef>  // defines __GLIBC__ where there is one

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace entremise {

// Gives pages that hold nothing back to the kernel. glibc alone keeps them until the end of the heap is free; musl
// does not.
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

}  // namespace entremise
