#include "cli/version.h"

namespace moetune {

std::string_view Version() { return MOETUNE_VERSION; }

}  // namespace moetune
