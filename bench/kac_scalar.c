/* The opponent: the Kac model with a reservoir as a plain scalar C program would have it.
 *
 *   gcc -O3 -march=native -ffast-math -o kac_scalar kac_scalar.c -lm
 *   ./kac_scalar M N EVENTS CLOCKS
 *
 * One replica, all three rates lambda_S = lambda_R = mu = 1. CLOCKS 1: the time of every event is drawn, -log(u)/rate;
 * CLOCKS 0: it is not, as if their number in an interval had been drawn instead.
 * prints: seconds, events per second, relative energy drift, time. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct { double x, y, z; } vector;

static uint64_t s[4];

static uint64_t rotl(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

/* xoshiro256++ 1.0 (Blackman and Vigna) */
static uint64_t next(void) {
  const uint64_t result = rotl(s[0] + s[3], 23) + s[0], t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotl(s[3], 45);
  return result;
}

static double uniform(void) { return (next() >> 11) * 0x1.0p-53; }

static void collide(vector *p, vector *q) {
  const double z = 2 * uniform() - 1, angle = 2 * M_PI * uniform(), r = sqrt(1 - z * z);
  const double x = r * cos(angle), y = r * sin(angle);
  const double by = (q->x - p->x) * x + (q->y - p->y) * y + (q->z - p->z) * z;
  p->x += by * x, p->y += by * y, p->z += by * z;
  q->x -= by * x, q->y -= by * y, q->z -= by * z;
}

static void collide_two(vector *v, int n) {
  const int i = (int)(uniform() * n);
  int j = (int)(uniform() * (n - 1));
  j += j >= i;
  collide(v + i, v + j);
}

static double energy(const vector *v, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += v[i].x * v[i].x + v[i].y * v[i].y + v[i].z * v[i].z;
  return sum;
}

static double normal(void) { return sqrt(-2 * log(1 - uniform())) * cos(2 * M_PI * uniform()); }

int main(int argc, char **argv) {
  if (argc != 5) return fprintf(stderr, "usage: %s M N EVENTS CLOCKS\n", argv[0]), 2;
  const int m = atoi(argv[1]), n = atoi(argv[2]), clocks = atoi(argv[4]);
  const long events = atol(argv[3]);
  const double system = m > 1 ? m / 2. : 0, mixed = m, reservoir = n > 1 ? n / 2. : 0;
  const double rate = system + mixed + reservoir;
  vector *v = malloc((m + n) * sizeof *v);
  for (int k = 0; k < 4; k++) s[k] = 0x9E3779B97F4A7C15ULL * (k + 1) ^ 0xBF58476D1CE4E5B9ULL;
  for (int i = 0; i < m + n; i++) v[i].x = normal(), v[i].y = normal(), v[i].z = normal();
  const double before = energy(v, m + n);
  double t = 0;
  struct timespec t0, t1;
  clock_gettime(CLOCK_MONOTONIC, &t0);
  for (long k = 0; k < events; k++) {
    if (clocks) t -= log(1 - uniform()) / rate;
    const double kind = uniform() * rate;
    if (kind < system) collide_two(v, m);
    else if (kind < system + mixed) collide(v + (int)(uniform() * m), v + m + (int)(uniform() * n));
    else collide_two(v + m, n);
  }
  clock_gettime(CLOCK_MONOTONIC, &t1);
  const double seconds = (t1.tv_sec - t0.tv_sec) + 1e-9 * (t1.tv_nsec - t0.tv_nsec);
  printf("%.6f %.6e %.3e %.6e\n", seconds, events / seconds, energy(v, m + n) / before - 1, t);
  return 0;
}
