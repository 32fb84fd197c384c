// A driver that knows streams alone, none of them being captured: the id of a stream is its
// address.
#ifndef MOETUNE_TESTS_TESTING_NUMBERED_STREAMS_H_
#define MOETUNE_TESTS_TESTING_NUMBERED_STREAMS_H_

#include <cstdint>

#include "runtime/driver.h"

namespace moetune {

inline CUstream_st* StreamOf(uint64_t id) { return reinterpret_cast<CUstream_st*>(id); }

constexpr DriverApi kNumberedStreams = {
    .stream_id =
        [](CUstream_st* stream, uint64_t* id) {
          *id = reinterpret_cast<uint64_t>(stream);
          return 0;
        },
    .stream_capturing =
        [](CUstream_st*, bool* capturing) {
          *capturing = false;
          return 0;
        },
};

}  // namespace moetune

#endif  // MOETUNE_TESTS_TESTING_NUMBERED_STREAMS_H_
