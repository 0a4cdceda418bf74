/* SPDX-License-Identifier: Apache-2.0
 * Included before each source of fsdiff-library: its system calls become those of
 * library_calls.h, which reach libbenchfs for what begins with "benchfs:" and for
 * descriptors opened beneath. So the same test runs without the kernel in between.
 */
#ifndef BENCHFS_TEST_LIBRARY_MAP_H
#define BENCHFS_TEST_LIBRARY_MAP_H

#include "library_calls.h"

#define open            library_open
#define openat          library_openat
#define close           library_close
#define mkdirat         library_mkdirat
#define unlinkat        library_unlinkat
#define unlink          library_unlink
#define rename          library_rename
#define renameat2       library_renameat2
#define linkat          library_linkat
#define symlinkat       library_symlinkat
#define readlinkat      library_readlinkat
#define fchmodat        library_fchmodat
#define fchmod          library_fchmod
#define fchownat        library_fchownat
#define utimensat       library_utimensat
#define futimens        library_futimens
#define truncate        library_truncate
#define ftruncate       library_ftruncate
#define stat(path, st)  library_stat(path, st)
#define fstat(fd, st)   library_fstat(fd, st)
#define fstatat         library_fstatat
#define faccessat       library_faccessat
#define fstatvfs        library_fstatvfs
#define lsetxattr       library_setxattr
#define lgetxattr       library_getxattr
#define llistxattr      library_listxattr
#define lremovexattr    library_removexattr
#define pread           library_pread
#define pwrite          library_pwrite
#define read            library_read
#define write           library_write
#define lseek           library_lseek
#define fsync           library_fsync
#define fdatasync       library_fdatasync
#define fallocate       library_fallocate
#define copy_file_range library_copy_file_range
#define DIR             struct library_dir
#define fdopendir       library_fdopendir
#define readdir         library_readdir
#define telldir         library_telldir
#define seekdir         library_seekdir
#define rewinddir       library_rewinddir
#define closedir        library_closedir
#define dirfd           library_dirfd

#endif
