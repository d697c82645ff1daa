/* The opponent: creation and recombination of pairs on a torus as a plain scalar C program would have it.
 *
 *   gcc -O3 -march=native -ffast-math -o reaction_scalar reaction_scalar.c -lm
 *   ./reaction_scalar DIMENSION N CELLS X STEPS
 *
 * One replica in equilibrium (Poisson, density 1 of either kind), standard Gaussian velocities, N particles to mass one,
 * CELLS along each axis, epsilon = 4/CELLS, dt = X epsilon^2. A step: particles are sorted by their cell on a randomly
 * shifted grid (counting sort), every cell is simulated event by event (Gillespie; a new A and its B are anywhere in the
 * cell), and what is left flies, all of it in doubles; flight and counting are one loop.
 * prints: seconds, particle-steps per second, events per second, particles, change of (number of A) - (number of B). */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t s[4];

static uint64_t rotl(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

/* xoshiro256++ 1.0 (Blackman and Vigna) */
static inline uint64_t next(void) {
  const uint64_t result = rotl(s[0] + s[3], 23) + s[0], t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotl(s[3], 45);
  return result;
}

static inline double uniform(void) { return (next() >> 11) * 0x1.0p-53; }

/* Box and Muller, both numbers used */
static inline double normal(void) {
  static double spare;
  static int there = 0;
  if (there) return there = 0, spare;
  const double r = sqrt(-2 * log(1 - uniform())), angle = 2 * M_PI * uniform();
  spare = r * sin(angle), there = 1;
  return r * cos(angle);
}

typedef struct {
  double *now, *sorted, *local; /* a particle: position, velocity */
  uint32_t *cell;
  long *start, number, capacity;
} species;

static double shift[3];

static inline __attribute__((always_inline)) uint32_t cell_of(const double *x, int d, int cells) {
  uint32_t c = 0;
  for (int k = 0; k < d; k++) {
    double y = x[k] + shift[k];
    y = y >= 1 ? y - 1 : y;
    int i = (int)(y * cells);
    c = c * cells + (i < cells ? i : cells - 1);
  }
  return c;
}

/* Let `count` particles fly to the end of the list, and count them in their new cells. */
static inline __attribute__((always_inline)) void fly(species *p, const double *from, long count, int d, int cells,
                                                      double time) {
  for (long i = 0; i < count; i++) {
    double *q = p->now + 2 * d * (p->number + i);
    for (int k = 0; k < d; k++) {
      const double x = from[2 * d * i + k] + time * from[2 * d * i + d + k];
      q[k] = x - floor(x);
      q[d + k] = from[2 * d * i + d + k];
    }
    const uint32_t c = cell_of(q, d, cells);
    p->cell[p->number + i] = c;
    p->start[c + 1]++;
  }
  p->number += count;
}

static inline __attribute__((always_inline)) void sort(species *p, int d, long all) {
  for (long c = 0; c < all; c++) p->start[c + 1] += p->start[c];
  for (long i = 0; i < p->number; i++)
    memcpy(p->sorted + 2 * d * p->start[p->cell[i]]++, p->now + 2 * d * i, 2 * d * sizeof(double));
  for (long c = all; c > 0; c--) p->start[c] = p->start[c - 1];
  p->start[0] = 0;
}

static inline __attribute__((always_inline)) long run(species *both, int d, long N, int cells, double x, long steps,
                                                      double *particles) {
  long all = 1, events = 0;
  for (int k = 0; k < d; k++) all *= cells;
  const double epsilon = 4. / cells, create = x * N / all, rate = x * all / N, time = x * epsilon;
  *particles = 0;
  for (long step = 0; step < steps; step++) {
    const double old[3] = {shift[0], shift[1], shift[2]};
    for (int k = 0; k < d; k++) shift[k] = uniform();
    *particles += both[0].number + both[1].number;
    long *start[2];
    for (int j = 0; j < 2; j++) {
      start[j] = malloc((all + 1) * sizeof(long));
      memcpy(start[j], both[j].start, (all + 1) * sizeof(long));
      memset(both[j].start, 0, (all + 1) * sizeof(long));
      both[j].number = 0;
    }
    long at[3] = {0, 0, 0};
    for (long c = 0; c < all; c++) {
      long n[2];
      for (int j = 0; j < 2; j++) {
        n[j] = start[j][c + 1] - start[j][c];
        memcpy(both[j].local, both[j].sorted + 2 * d * start[j][c], n[j] * 2 * d * sizeof(double));
      }
      double t = 0;
      for (;;) {
        const double destroy = rate * n[0] * n[1], total = create + destroy;
        t -= log(1 - uniform()) / total;
        if (t > 1) break;
        events++;
        if (uniform() * total < create) {
          double *a = both[0].local + 2 * d * n[0]++, *b = both[1].local + 2 * d * n[1]++;
          for (int k = 0; k < d; k++) {
            const double y = (at[k] + uniform()) / cells - old[k], z = (at[k] + uniform()) / cells - old[k];
            a[k] = y < 0 ? y + 1 : y;
            b[k] = z < 0 ? z + 1 : z;
          }
          for (int k = 0; k < d; k++) a[d + k] = normal();
          for (int k = 0; k < d; k++) b[d + k] = normal();
        } else {
          for (int j = 0; j < 2; j++) {
            const long i = (long)(uniform() * n[j]);
            memmove(both[j].local + 2 * d * i, both[j].local + 2 * d * --n[j], 2 * d * sizeof(double));
          }
        }
      }
      for (int j = 0; j < 2; j++) fly(both + j, both[j].local, n[j], d, cells, time);
      for (int k = d - 1; k >= 0 && ++at[k] == cells; k--) at[k] = 0;
    }
    for (int j = 0; j < 2; j++) free(start[j]), sort(both + j, d, all);
  }
  return events;
}

int main(int argc, char **argv) {
  if (argc != 6) return fprintf(stderr, "usage: %s DIMENSION N CELLS X STEPS\n", argv[0]), 2;
  const int d = atoi(argv[1]), cells = atoi(argv[3]);
  const long N = atol(argv[2]), steps = atol(argv[5]);
  const double x = atof(argv[4]);
  long all = 1;
  for (int k = 0; k < d; k++) all *= cells;
  for (int k = 0; k < 4; k++) s[k] = 0x9E3779B97F4A7C15ULL * (k + 1) ^ 0xBF58476D1CE4E5B9ULL;
  species both[2];
  long before = 0;
  for (int j = 0; j < 2; j++) {
    species *p = both + j;
    p->capacity = 2 * N + 1000;
    const size_t bytes = p->capacity * 2 * d * sizeof(double);
    p->now = malloc(bytes), p->sorted = malloc(bytes), p->local = malloc(bytes);
    p->cell = malloc(p->capacity * sizeof *p->cell), p->start = calloc(all + 1, sizeof *p->start);
    p->number = 0;
    const long number = N + (long)floor(sqrt(N) * normal());
    for (long i = 0; i < number; i++) {
      for (int k = 0; k < d; k++) p->local[2 * d * i + k] = uniform(), p->local[2 * d * i + d + k] = normal();
    }
    fly(p, p->local, number, d, cells, 0);
    sort(p, d, all);
    before += (j ? -1 : 1) * p->number;
  }
  double particles;
  struct timespec t0, t1;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t0);
  const long events = d == 1 ? run(both, 1, N, cells, x, steps, &particles)
                    : d == 2 ? run(both, 2, N, cells, x, steps, &particles)
                             : run(both, 3, N, cells, x, steps, &particles);
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t1);
  const double seconds = (t1.tv_sec - t0.tv_sec) + 1e-9 * (t1.tv_nsec - t0.tv_nsec);
  printf("%.6f %.6e %.6e %ld %ld\n", seconds, particles / seconds, events / seconds, both[0].number + both[1].number,
         both[0].number - both[1].number - before);
  return 0;
}
