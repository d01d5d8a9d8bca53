// What must hold whatever comes in: a breach ends the program, as a sanitizer does.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#define Check(holds) \
  do { \
    if (!(holds)) { \
      fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #holds); \
      abort(); \
    } \
  } while (false)
