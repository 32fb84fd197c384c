// The log in memory: for tests, and for a sweep whose rows nobody keeps.
#ifndef MOETUNE_DB_MEMORY_STORE_H_
#define MOETUNE_DB_MEMORY_STORE_H_

#include <memory>

#include "db/store.h"

namespace moetune {

// Empty, with a database id of its own.
std::unique_ptr<Store> NewMemoryStore(OpenMode mode = OpenMode::kReadWrite);

}  // namespace moetune

#endif  // MOETUNE_DB_MEMORY_STORE_H_
