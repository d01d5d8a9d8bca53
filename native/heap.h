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

}  // namespace entremise
