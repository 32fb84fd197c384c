// RETURN_IF_ERROR and ASSIGN_OR_RETURN: the two status macros that Debian's Abseil lacks.
#ifndef MOETUNE_KERNELS_STATUS_MACROS_H_
#define MOETUNE_KERNELS_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define RETURN_IF_ERROR(expression)                           \
  do {                                                        \
    if (absl::Status status_ = (expression); !status_.ok()) { \
      return status_;                                         \
    }                                                         \
  } while (false)

#define MOETUNE_CONCAT_(a, b) a##b
#define MOETUNE_CONCAT(a, b) MOETUNE_CONCAT_(a, b)

// ASSIGN_OR_RETURN(auto x, F()) declares x from F()'s value, or returns F()'s error.
#define ASSIGN_OR_RETURN(declaration, expression) \
  ASSIGN_OR_RETURN_(MOETUNE_CONCAT(status_or_, __LINE__), declaration, expression)
#define ASSIGN_OR_RETURN_(status_or, declaration, expression) \
  auto status_or = (expression);                              \
  if (!status_or.ok()) return std::move(status_or).status();  \
  declaration = *std::move(status_or)

#endif  // MOETUNE_KERNELS_STATUS_MACROS_H_
