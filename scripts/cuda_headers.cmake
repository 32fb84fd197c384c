# Finds cuda.h and nvrtc.h, all of CUDA that a build needs: the libraries are opened at run time.
# Sets MOETUNE_HAS_CUDA, MOETUNE_CUDA_INCLUDE_DIRS and, where libnvrtc lies beside the headers,
# MOETUNE_NVRTC_DIR.
set(cuda_version_min 12080)  # as CUDA_VERSION in cuda.h: 1000 * major + 10 * minor
set(MOETUNE_HAS_CUDA OFF)
set(MOETUNE_CUDA_INCLUDE_DIRS "")
set(MOETUNE_NVRTC_DIR "")

if(NOT MOETUNE_CUDA)
  message(STATUS "CUDA: switched off; this build cannot compile or run kernels")
  return()
endif()

set(places $ENV{CUDA_HOME}/include $ENV{CUDA_PATH}/include /usr/local/cuda/include)
file(GLOB versions /usr/local/cuda-*/include)
list(SORT versions COMPARE NATURAL ORDER DESCENDING)
list(APPEND places ${versions} /opt/cuda/include)
execute_process(
  COMMAND python3 -c "import site; print(';'.join(site.getsitepackages() + [site.getusersitepackages()]))"
  OUTPUT_VARIABLE python_folders OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
foreach(folder IN LISTS python_folders)
  file(GLOB wheels ${folder}/nvidia/*/include)
  list(APPEND places ${wheels})
endforeach()

find_path(MOETUNE_CUDA_H cuda.h PATHS ${places} /usr/include NO_DEFAULT_PATH)
find_path(MOETUNE_NVRTC_H nvrtc.h PATHS ${places} /usr/include NO_DEFAULT_PATH)
mark_as_advanced(MOETUNE_CUDA_H MOETUNE_NVRTC_H)

set(problem "")
if(NOT MOETUNE_CUDA_H OR NOT MOETUNE_NVRTC_H)
  set(problem "cuda.h and nvrtc.h not found (set CUDA_HOME to a CUDA toolkit)")
else()
  file(STRINGS ${MOETUNE_CUDA_H}/cuda.h line REGEX "^#define CUDA_VERSION +[0-9]+" LIMIT_COUNT 1)
  string(REGEX MATCH "[0-9]+" cuda_version "${line}")
  if(NOT cuda_version OR cuda_version LESS cuda_version_min)
    set(problem "the headers in ${MOETUNE_CUDA_H} are of version ${cuda_version}, \
at least ${cuda_version_min} is needed")
  endif()
endif()

if(problem AND MOETUNE_CUDA STREQUAL AUTO)
  message(STATUS "CUDA: ${problem}; this build cannot compile or run kernels")
  return()
elseif(problem)
  message(FATAL_ERROR "MOETUNE_CUDA=${MOETUNE_CUDA}, but ${problem}")
endif()

set(MOETUNE_HAS_CUDA ON)
set(MOETUNE_CUDA_INCLUDE_DIRS ${MOETUNE_CUDA_H} ${MOETUNE_NVRTC_H})
list(REMOVE_DUPLICATES MOETUNE_CUDA_INCLUDE_DIRS)
foreach(folder lib64 lib targets/x86_64-linux/lib lib/x86_64-linux-gnu)
  get_filename_component(folder ${MOETUNE_NVRTC_H}/../${folder} ABSOLUTE)
  file(GLOB libraries ${folder}/libnvrtc.so*)
  if(libraries AND NOT MOETUNE_NVRTC_DIR)
    set(MOETUNE_NVRTC_DIR ${folder})
  endif()
endforeach()
message(STATUS "CUDA: version ${cuda_version} headers in ${MOETUNE_CUDA_H}, "
               "NVRTC in ${MOETUNE_NVRTC_DIR}")
