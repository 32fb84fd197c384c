#ifndef MOETUNE_CLI_VERSION_H_
#define MOETUNE_CLI_VERSION_H_

#include <string_view>

namespace moetune {

// "0.1.0", as the build was told.
std::string_view Version();

}  // namespace moetune

#endif  // MOETUNE_CLI_VERSION_H_
